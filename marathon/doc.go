// Package marathon speaks Marathon's language: apps and tasks as its REST API
// tells them, events as its stream tells them, and where a task can be reached.
//
// It knows Marathon 0.11 to 1.11 and hides their differences: what leaves this
// package looks the same whichever version sent it.
//
// An answer may be large, or a trap, and is read in pieces:
//
//	scanner     goes through the stream and keeps what it is told to: scan.go, scanvalue.go
//	pick        keeps the wanted fields of one object
//	appsReader  makes apps of their definitions, labels and tasks: appread.go
//	appJSON     what these say, in whatever form of whatever version: appjson.go, definition.go
//
// What there is, by file:
//
//	client.go      questions to Marathon's masters; config.go, credentials.go: where they are, and who asks
//	answer.go      what an answer's head and an error mean; clock.go: Marathon's clock
//	app.go         App, Task and Definition, as others see them; share.go: kept once
//	endpoint.go    where a task's ports can be reached
//	health.go      checks and their results; healthjson.go: how they are written
//	event.go       the events; decode.go, decodehealth.go: how they are written
//	state.go       the states of a task; id.go, instance.go: what is an ID
//	snapshot.go    all apps at once, and which of them cannot be read
//	json.go, optional.go, instant.go, texts.go   values in the JSON of any version
//
// What an error repeats of an answer has gone through Transport.Conceal, in Client.get.
package marathon
