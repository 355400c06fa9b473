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
// What an error repeats of an answer has gone through Transport.Conceal, in Client.get.
package marathon
