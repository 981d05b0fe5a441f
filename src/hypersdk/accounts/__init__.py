"""Who may do what: users, tokens, tenants and their quotas, and the record of what was done."""
