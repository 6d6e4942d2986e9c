package embedded

import (
	"context"
	"net"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// features says what this server can do. The client asks before anything else, without credentials.
type features struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// protocolVersion is the EventStoreDB release whose streams protocol is served.
const protocolVersion = "24.10.0"

func (features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const service = "event_store.client.streams.streams"
	return &serverfeatures.SupportedMethods{
		EventStoreServerVersion: protocolVersion,
		Methods: []*serverfeatures.SupportedMethod{
			{ServiceName: service, MethodName: "read", Features: []string{"position", "events"}},
			{ServiceName: service, MethodName: "append"},
			{ServiceName: service, MethodName: "delete"},
			{ServiceName: service, MethodName: "tombstone"},
			{ServiceName: "event_store.client.server_features.serverfeatures", MethodName: "getsupportedmethods"},
		},
	}, nil
}

// member answers gossip, so that a connection string made for a cluster finds this one server as its leader.
type member struct {
	gossip.UnimplementedGossipServer
	host string
	port uint32
}

func newMember(a net.Addr) member {
	tcp := a.(*net.TCPAddr)
	return member{host: tcp.IP.String(), port: uint32(tcp.Port)}
}

func (m member) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: m.host, Port: m.port},
	}}}, nil
}
