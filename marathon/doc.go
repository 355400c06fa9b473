// Package marathon speaks Marathon's language: apps and tasks as its REST API
// tells them, events as its stream tells them, and where a task can be reached.
//
// It knows Marathon 0.11 to 1.11 and hides their differences: what leaves this
// package looks the same whichever version sent it.
package marathon
