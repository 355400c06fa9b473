// Package stream keeps one subscription to Marathon's /v2/events alive, and
// tells a Handler, in order, what it hears and when it is deaf.
//
// One connection, from below:
//
//	wholeEvents   passes whole events only, one at a time; every byte is a sign of life (body.go)
//	sse.Client    r3labs' framing; one call is one connection
//	connection    follows a standby's redirect (redirect.go), decodes, says why it ended (gap.go)
//	watch         ends it when it falls silent, brings no event, or we were paused ourselves
//	Subscriber    tries the masters in turn, paced (retry.go); report tells Handler and log
//	Printer       prints what is heard, for the command events
//
// Marathon replays nothing: whatever happens between a Disconnected and the
// next Connected is lost, and so is an event named by a Missed. Who listens
// must then read the state anew.
//
// A subscription exists from its first event on, not from the 200: Marathon
// sends the head before it subscribes, and a node that has just lost its
// leadership answers 200 and closes. Until an event came, the attempt may fail.
package stream
