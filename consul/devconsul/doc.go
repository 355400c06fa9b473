// Package devconsul finds or builds a real Consul and runs a cluster of it on
// this machine, for the demo and for tests. There is no fake of Consul: what
// talks to Consul is tested against Consul.
//
// One server and any number of client agents each have an address of their own
// in 127.0.0.0/8 and Consul's usual ports on it, as on separate hosts. (Linux has
// all those addresses; elsewhere only 127.0.0.1 may exist.) Whatever becomes of
// the program that started them, they end with it.
package devconsul
