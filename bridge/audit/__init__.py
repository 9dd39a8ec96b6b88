"""The audit log read by people: found by what they ask for, in the journal's own words."""
