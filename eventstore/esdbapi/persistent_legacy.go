package esdbapi

//lint:file-ignore SA1019 these fields are deprecated and still sent: the Go client knows strategies by number only

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// legacyCreate reads what clients of before 21.2 send instead of the stream options.
func legacyCreate(d *groups.Definition, o *persistent.CreateReq_Options) (err error) {
	if d.Key, err = newGroupKey(o.GetStreamIdentifier(), o.GetGroupName()); err == nil {
		d.Start, err = groupStart(startAtRevision(o.GetSettings().GetRevision()))
	}
	return err
}

// legacyUpdate is legacyCreate for the other request.
func legacyUpdate(d *groups.Definition, o *persistent.UpdateReq_Options) (err error) {
	if d.Key, err = newGroupKey(o.GetStreamIdentifier(), o.GetGroupName()); err == nil {
		d.Start, err = groupStart(startAtRevision(o.GetSettings().GetRevision()))
	}
	return err
}

// legacyStrategy is the strategy by number. The numbers are named like the strategies.
func legacyStrategy(s *persistent.CreateReq_Settings) groups.Strategy {
	return groups.Strategy(s.GetNamedConsumerStrategy().String())
}
