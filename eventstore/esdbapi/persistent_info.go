package esdbapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// subscriptionInfo describes a group as clients parse it: places are texts whose form says whether the
// group reads a stream or $all.
func subscriptionInfo(i *groups.Info) *persistent.SubscriptionInfo {
	info := &persistent.SubscriptionInfo{
		EventSource: i.Key.Stream, GroupName: i.Key.Group, Status: groupStatus(i),
		AveragePerSecond: count(i.Rate.PerSecond), TotalItems: int64(i.Rate.Total), //nolint:gosec // counts
		CountSinceLastMeasurement:     int64(i.Rate.SinceLast), //nolint:gosec // counts
		LastCheckpointedEventPosition: placeText(i.Key, i.Checkpoint), LastKnownEventPosition: placeText(i.Key, i.Known),
		StartFrom:      startText(i.Key, i.Start),
		ResolveLinkTos: i.Settings.ResolveLinks, ExtraStatistics: i.Settings.ExtraStatistics,
		MessageTimeoutMilliseconds:  count(i.Settings.MessageTimeout.Milliseconds()),
		CheckPointAfterMilliseconds: count(i.Settings.CheckpointAfter.Milliseconds()),
		MaxRetryCount:               count(i.Settings.MaxRetryCount), LiveBufferSize: count(i.Settings.LiveBufferSize),
		BufferSize: count(i.Settings.HistoryBufferSize), ReadBatchSize: count(i.Settings.ReadBatchSize),
		MinCheckPointCount: count(i.Settings.MinCheckpointCount), MaxCheckPointCount: count(i.Settings.MaxCheckpointCount),
		MaxSubscriberCount: count(i.Settings.MaxSubscriberCount), NamedConsumerStrategy: string(i.Settings.Strategy),
		RetryBufferCount: count(i.Retrying), TotalInFlightMessages: count(i.InFlight),
		OutstandingMessagesCount: count(i.Awaiting), ParkedMessageCount: int64(i.Parked), //nolint:gosec // counts
	}
	if i.Live {
		info.LiveBufferCount = int64(i.Buffered)
	} else {
		info.ReadBufferCount = count(i.Buffered)
	}
	for _, c := range i.Connections {
		info.Connections = append(info.Connections, &persistent.SubscriptionInfo_ConnectionInfo{
			From: c.From, Username: c.Username, ConnectionName: c.Name,
			AverageItemsPerSecond: count(c.Rate.PerSecond), TotalItems: int64(c.Rate.Total), //nolint:gosec // counts
			CountSinceLastMeasurement: int64(c.Rate.SinceLast), //nolint:gosec // counts
			AvailableSlots:            count(c.Slots), InFlightMessages: count(c.InFlight),
		})
	}
	return info
}

// count fits a number into a field of the protocol.
func count[T int | int64 | float64](n T) int32 { return int32(min(float64(n), math.MaxInt32)) }

// groupStatus is the flags of a group, as text.
func groupStatus(i *groups.Info) string {
	var flags []string
	switch {
	case !i.Ready:
		flags = append(flags, "NotReady")
	case i.Live:
		flags = append(flags, "Live")
	default:
		flags = append(flags, "Behind")
	}
	if i.Replaying {
		flags = append(flags, "ReplayingParkedMessages")
	}
	return strings.Join(flags, ", ")
}

// placeText is the last event up to a place, "" when there is none.
func placeText(k groups.Key, at groups.Place) string {
	switch {
	case at == 0:
		return ""
	case k.Stream == groups.All:
		return fmt.Sprintf("C:%d/P:%d", at, at)
	}
	return strconv.FormatUint(uint64(at)-1, 10)
}

func startText(k groups.Key, s groups.Start) string {
	at := strconv.FormatUint(s.At, 10) // 0 for the start
	if s.From == groups.FromEnd {
		at = "-1"
	}
	if k.Stream == groups.All {
		return "C:" + at + "/P:" + at
	}
	return at
}
