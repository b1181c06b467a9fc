package esdbapi

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"google.golang.org/protobuf/proto"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// parseCreate reads the definition of a group. Clients of before 21.2 name the stream beside the options,
// and the revision in the settings.
func parseCreate(o *persistent.CreateReq_Options) (d groups.Definition, err error) {
	d.Settings = parseSettings(o.GetSettings(), createStrategy(o.GetSettings()))
	switch option := o.GetStreamOption().(type) {
	case *persistent.CreateReq_Options_Stream:
		if d.Key, err = newGroupKey(option.Stream.GetStreamIdentifier(), o.GetGroupName()); err == nil {
			d.Start, err = createStreamStart(option.Stream)
		}
	case *persistent.CreateReq_Options_All:
		if d.Key, err = allGroupKey(o.GetGroupName()); err == nil {
			d.Start, err = createAllStart(option.All)
		}
		if err == nil {
			d.Filter, err = createFilter(option.All)
		}
	case nil:
		err = legacyCreate(&d, o)
	}
	return d, err
}

// parseUpdate is parseCreate for the other request. A group keeps its filter.
func parseUpdate(o *persistent.UpdateReq_Options) (d groups.Definition, err error) {
	d.Settings = parseSettings(o.GetSettings(), updateStrategy(o.GetSettings()))
	switch option := o.GetStreamOption().(type) {
	case *persistent.UpdateReq_Options_Stream:
		if d.Key, err = newGroupKey(option.Stream.GetStreamIdentifier(), o.GetGroupName()); err == nil {
			d.Start, err = updateStreamStart(option.Stream)
		}
	case *persistent.UpdateReq_Options_All:
		if d.Key, err = allGroupKey(o.GetGroupName()); err == nil {
			d.Start, err = updateAllStart(option.All)
		}
	case nil:
		err = legacyUpdate(&d, o)
	}
	return d, err
}

func createStreamStart(o *persistent.CreateReq_StreamOptions) (groups.Start, error) {
	switch option := o.GetRevisionOption().(type) {
	case *persistent.CreateReq_StreamOptions_Revision:
		return groupStart(startAtRevision(option.Revision))
	case *persistent.CreateReq_StreamOptions_Start:
		return groups.Start{From: groups.FromStart}, nil
	case *persistent.CreateReq_StreamOptions_End:
		return groups.Start{From: groups.FromEnd}, nil
	}
	return groups.Start{}, noStart()
}

func updateStreamStart(o *persistent.UpdateReq_StreamOptions) (groups.Start, error) {
	switch option := o.GetRevisionOption().(type) {
	case *persistent.UpdateReq_StreamOptions_Revision:
		return groupStart(startAtRevision(option.Revision))
	case *persistent.UpdateReq_StreamOptions_Start:
		return groups.Start{From: groups.FromStart}, nil
	case *persistent.UpdateReq_StreamOptions_End:
		return groups.Start{From: groups.FromEnd}, nil
	}
	return groups.Start{}, noStart()
}

func createAllStart(o *persistent.CreateReq_AllOptions) (groups.Start, error) {
	switch option := o.GetAllOption().(type) {
	case *persistent.CreateReq_AllOptions_Position:
		return groupStart(startAtPosition(option.Position.GetCommitPosition(), option.Position.GetPreparePosition()))
	case *persistent.CreateReq_AllOptions_Start:
		return groups.Start{From: groups.FromStart}, nil
	case *persistent.CreateReq_AllOptions_End:
		return groups.Start{From: groups.FromEnd}, nil
	}
	return groups.Start{}, noStart()
}

func updateAllStart(o *persistent.UpdateReq_AllOptions) (groups.Start, error) {
	switch option := o.GetAllOption().(type) {
	case *persistent.UpdateReq_AllOptions_Position:
		return groupStart(startAtPosition(option.Position.GetCommitPosition(), option.Position.GetPreparePosition()))
	case *persistent.UpdateReq_AllOptions_Start:
		return groups.Start{From: groups.FromStart}, nil
	case *persistent.UpdateReq_AllOptions_End:
		return groups.Start{From: groups.FromEnd}, nil
	}
	return groups.Start{}, noStart()
}

func noStart() error { return invalid("where the group starts is missing") }

// groupStart is a start as groups know it.
func groupStart(s start, err error) (groups.Start, error) {
	switch s.kind {
	case fromStart:
		return groups.Start{From: groups.FromStart}, err
	case fromEnd:
		return groups.Start{From: groups.FromEnd}, err
	case fromPlace:
	}
	return groups.Start{From: groups.FromPlace, At: s.place}, err
}

// createFilter keeps the filter as it came, after a look at whether it can be read.
func createFilter(o *persistent.CreateReq_AllOptions) ([]byte, error) {
	switch option := o.GetFilterOption().(type) {
	case *persistent.CreateReq_AllOptions_NoFilter:
		return nil, nil
	case *persistent.CreateReq_AllOptions_Filter:
		encoded, err := proto.Marshal(option.Filter)
		if err != nil {
			return nil, invalid("the filter cannot be read")
		}
		_, err = groupFilter(encoded)
		return encoded, err
	}
	return nil, invalid("neither a filter nor no_filter is given")
}
