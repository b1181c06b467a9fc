package esdbapi

import (
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// settingsRequest is what the settings of Create and Update have in common.
type settingsRequest interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutTicks() int64
	GetMessageTimeoutMs() int32
	GetCheckpointAfterTicks() int64
	GetCheckpointAfterMs() int32
}

func parseSettings(s settingsRequest, strategy groups.Strategy) groups.Settings {
	return groups.Settings{
		ResolveLinks: s.GetResolveLinks(), ExtraStatistics: s.GetExtraStatistics(),
		MaxRetryCount:      int(s.GetMaxRetryCount()),
		MinCheckpointCount: int(s.GetMinCheckpointCount()), MaxCheckpointCount: int(s.GetMaxCheckpointCount()),
		CheckpointAfter:    pause(s.GetCheckpointAfterTicks(), s.GetCheckpointAfterMs()),
		MaxSubscriberCount: int(s.GetMaxSubscriberCount()),
		HistoryBufferSize:  int(s.GetHistoryBufferSize()), LiveBufferSize: int(s.GetLiveBufferSize()),
		ReadBatchSize:  int(s.GetReadBatchSize()),
		MessageTimeout: pause(s.GetMessageTimeoutTicks(), s.GetMessageTimeoutMs()),
		Strategy:       strategy,
	}
}

// pause is a time given in ticks of 100 ns or in milliseconds: the other one is 0.
func pause(ticks int64, ms int32) time.Duration {
	const tick = 100 * time.Nanosecond
	if ticks > math.MaxInt64/int64(tick) {
		return math.MaxInt64
	}
	if ticks < 0 {
		return -1
	}
	return time.Duration(ticks)*tick + time.Duration(ms)*time.Millisecond
}

// createStrategy is the strategy by its name, or by the number that older clients send.
func createStrategy(s *persistent.CreateReq_Settings) groups.Strategy {
	if name := s.GetConsumerStrategy(); name != "" {
		return groups.Strategy(name)
	}
	return legacyStrategy(s)
}

// The numbers of both requests are named like the strategies; an unknown number is no strategy's name.
func updateStrategy(s *persistent.UpdateReq_Settings) groups.Strategy {
	return groups.Strategy(s.GetNamedConsumerStrategy().String())
}
