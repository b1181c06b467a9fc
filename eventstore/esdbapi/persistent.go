package esdbapi

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// persistentService manages groups of consumers that share events, and lets consumers in.
type persistentService struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	*Server
}

func (p *persistentService) Create(ctx context.Context, r *persistent.CreateReq) (*persistent.CreateResp, error) {
	d, err := parseCreate(r.GetOptions())
	if err == nil {
		err = p.mayManage()
	}
	if err != nil {
		return nil, err
	}
	if err := p.groups.Create(ctx, d); err != nil {
		return nil, groupFailure(err, d.Key)
	}
	return &persistent.CreateResp{}, nil
}

func (p *persistentService) Update(ctx context.Context, r *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	d, err := parseUpdate(r.GetOptions())
	if err == nil {
		err = p.mayManage()
	}
	if err != nil {
		return nil, err
	}
	if err := p.groups.Update(ctx, d); err != nil {
		return nil, groupFailure(err, d.Key)
	}
	return &persistent.UpdateResp{}, nil
}

func (p *persistentService) Delete(ctx context.Context, r *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	o := r.GetOptions()
	key, err := groupKey(o.GetStreamIdentifier(), o.GetAll(), o.GetGroupName())
	if err == nil {
		err = p.mayManage()
	}
	if err != nil {
		return nil, err
	}
	if err := p.groups.Delete(ctx, key); err != nil {
		return nil, groupFailure(err, key)
	}
	return &persistent.DeleteResp{}, nil
}

func (p *persistentService) ReplayParked(ctx context.Context, r *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	o := r.GetOptions()
	key, err := groupKey(o.GetStreamIdentifier(), o.GetAll(), o.GetGroupName())
	if err == nil {
		err = p.mayManage()
	}
	if err != nil {
		return nil, err
	}
	stopAt, err := parseStopAt(o)
	if err != nil {
		return nil, err
	}
	if err := p.groups.ReplayParked(ctx, key, stopAt); err != nil {
		return nil, groupFailure(err, key)
	}
	return &persistent.ReplayParkedResp{}, nil
}

// mayManage says whether groups may be changed here at all: they are kept in the store.
func (p *persistentService) mayManage() error {
	if !p.config.AllowAppend {
		return accessDenied("this server is read-only")
	}
	return nil
}

// parseStopAt is the revision in the parked stream at which a replay ends, nil for none.
func parseStopAt(o *persistent.ReplayParkedReq_Options) (*uint64, error) {
	switch option := o.GetStopAtOption().(type) {
	case *persistent.ReplayParkedReq_Options_NoLimit:
		return nil, nil
	case *persistent.ReplayParkedReq_Options_StopAt:
		if option.StopAt < 0 {
			return nil, invalid("stop_at is negative")
		}
		stop := uint64(option.StopAt)
		return &stop, nil
	}
	return nil, invalid("neither stop_at nor no_limit is given")
}

func (p *persistentService) GetInfo(ctx context.Context, r *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	o := r.GetOptions()
	key, err := groupKey(o.GetStreamIdentifier(), o.GetAll(), o.GetGroupName())
	if err != nil {
		return nil, err
	}
	info, err := p.groups.Info(ctx, key)
	if err != nil {
		return nil, groupFailure(err, key)
	}
	return &persistent.GetInfoResp{SubscriptionInfo: subscriptionInfo(&info)}, nil
}

// List answers all groups, or those of one stream. A stream without groups is not found, as by a real node.
func (p *persistentService) List(ctx context.Context, r *persistent.ListReq) (*persistent.ListResp, error) {
	only, err := parseList(r.GetOptions())
	if err != nil {
		return nil, err
	}
	infos, err := p.groups.List(ctx)
	if err != nil {
		return nil, groupFailure(err, groups.Key{Stream: only})
	}
	resp := &persistent.ListResp{}
	for i := range infos {
		if only == "" || infos[i].Key.Stream == only {
			resp.Subscriptions = append(resp.Subscriptions, subscriptionInfo(&infos[i]))
		}
	}
	if only != "" && len(resp.Subscriptions) == 0 {
		return nil, groupFailure(groups.ErrNotFound, groups.Key{Stream: only})
	}
	return resp, nil
}

// parseList is the stream whose groups are asked for, "" for all.
func parseList(o *persistent.ListReq_Options) (string, error) {
	switch option := o.GetListOption().(type) {
	case *persistent.ListReq_Options_ListAllSubscriptions:
		return "", nil
	case *persistent.ListReq_Options_ListForStream:
		switch stream := option.ListForStream.GetStreamOption().(type) {
		case *persistent.ListReq_StreamOption_All:
			return groups.All, nil
		case *persistent.ListReq_StreamOption_Stream:
			return streamName(stream.Stream)
		}
	}
	return "", invalid("neither all subscriptions nor those of a stream are asked for")
}

// RestartSubsystem has nothing to do: groups begin anew by themselves when something is wrong.
func (p *persistentService) RestartSubsystem(context.Context, *shared.Empty) (*shared.Empty, error) {
	return &shared.Empty{}, nil
}
