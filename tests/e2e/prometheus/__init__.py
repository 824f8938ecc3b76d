"""Rules, tests of rules, webhooks and the API of `alerts`, each held against the programs of Prometheus."""
