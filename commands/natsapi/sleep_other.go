//go:build !linux

package natsapi

import "time"

// sleepUntil returns at a time, as precisely as Go's timers are.
func sleepUntil(due time.Time) { <-time.After(time.Until(due)) }
