package natsapi

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil returns at a time, give or take the 50 µs of slack that Linux allows itself.
func sleepUntil(due time.Time) {
	for wait := time.Until(due); wait > 0; wait = time.Until(due) {
		// A signal ends it early, as the runtime's own do: then the loop goes on.
		ts := unix.NsecToTimespec(wait.Nanoseconds())
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil); err != nil && err != unix.EINTR {
			<-time.After(wait) // a sandbox that forbids the call
		}
	}
}
