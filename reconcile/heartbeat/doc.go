// Package heartbeat tells others, without a port, that this process is well: a file whose
// time is set while every loop goes round, and what looks at that file (`consular health`).
//
// A process that is well may have a Marathon or a Consul that is not. The file's text says so,
// and its time does not: that is no reason to have all copies killed, which nobody then
// starts again.
//
// It stands below reconcile only because the top level is fixed. Packages tell it of their loops.
package heartbeat
