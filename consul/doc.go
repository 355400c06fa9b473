// Package consul speaks Consul's language: services on agents with their checks, labels in
// the KV store, the catalog, a lock, and the marks that say who owns what.
//
// It decides nothing: it says what is there, writes what it is told to, and makes one error
// of whatever stands in the way. What it knows of Consul holds for 1.11 to 1.22 (1.7 without ACLs).
//
//	cluster.go     the agents of one cluster; config.go, environment.go: how they are reached
//	transport.go   what every request and answer goes through: tokens, limits, ACLs' filters
//	errors.go      what an error means, and how it is told
//	agent.go       one agent, and services on it; service.go: what these are; diff.go: drift
//	checks.go      checks of services
//	listing.go     what an agent lists, and that most of it was listed before
//	watch.go       waiting for an agent's end
//	owner.go       tags and flags that say whose something is; check.go: what Consul cannot take
//	labels.go      labels in the KV store; apply.go: their transactions; refused.go: whose fault one was
//	catalog.go     what the catalog says of agents that do not answer
//	token.go       which token we have; version.go: how old an agent may be
//	lock.go        the lock of several copies; lock_hold.go: while we have it; lock_client.go: its
//	               requests; lease.go: how long it is sure
package consul
