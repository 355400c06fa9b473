// Package consul speaks Consul's language: services on agents, labels in the
// KV store, and the marks that say who owns them.
package consul
