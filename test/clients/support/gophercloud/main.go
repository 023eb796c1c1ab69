// What gophercloud, and with it Terraform and the Kubernetes controllers, does with load balancers: a tree in one call, found by name,
// changed, its members replaced in one call, a floating IP, and all removed. Usage: main AUTH_URL USER PASSWORD PROJECT
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/l7policies"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/providers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		panic(err)
	}
}

func expect(what string, got, wanted any) {
	if got != wanted {
		panic(fmt.Sprintf("%s is %v and should be %v", what, got, wanted))
	}
}

func settled(client *gophercloud.ServiceClient, id string) *loadbalancers.LoadBalancer {
	for range 300 {
		lb := must(loadbalancers.Get(ctx, client, id).Extract())
		if lb.ProvisioningStatus == "ACTIVE" {
			return lb
		}
		expect("not in error", lb.ProvisioningStatus != "ERROR", true)
		time.Sleep(100 * time.Millisecond)
	}
	panic("the load balancer does not settle")
}

func main() {
	options := gophercloud.AuthOptions{IdentityEndpoint: os.Args[1], Username: os.Args[2], Password: os.Args[3], TenantName: os.Args[4],
		DomainName: "Default", AllowReauth: true}
	provider := must(openstack.AuthenticatedClient(ctx, options))
	endpoint := gophercloud.EndpointOpts{Region: "RegionOne"}
	client := must(openstack.NewLoadBalancerV2(provider, endpoint))
	network := must(openstack.NewNetworkV2(provider, endpoint))

	subnet := must(subnets.ExtractSubnets(must(subnets.List(network, subnets.ListOpts{Name: "private-subnet"}).AllPages(ctx))))[0]
	external := must(networks.ExtractNetworks(must(networks.List(network, networks.ListOpts{Name: "public"}).AllPages(ctx))))[0]
	expect("providers", len(must(providers.ExtractProviders(must(providers.List(client, nil).AllPages(ctx))))) > 0, true)

	port, weight := 9001, 3
	member := pools.CreateMemberOpts{Name: "one", Address: subnet.GatewayIP, ProtocolPort: port, Weight: &weight}
	tree := loadbalancers.CreateOpts{Name: "go", VipSubnetID: subnet.ID, Tags: []string{"go"}, Listeners: []listeners.CreateOpts{{
		Name: "go", Protocol: listeners.ProtocolHTTP, ProtocolPort: 80, AllowedCIDRs: []string{"0.0.0.0/0"},
		DefaultPool: &pools.CreateOpts{Name: "go", Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin,
			Members: []pools.CreateMemberOpts{member},
			Monitor: &monitors.CreateOpts{Type: monitors.TypeHTTP, Delay: 5, Timeout: 2, MaxRetries: 2}}}}}
	lb := settled(client, must(loadbalancers.Create(ctx, client, tree).Extract()).ID)
	expect("the VIP's port", must(ports.Get(ctx, network, lb.VipPortID).Extract()).DeviceOwner, "Octavia")

	found := must(loadbalancers.ExtractLoadBalancers(must(loadbalancers.List(client, loadbalancers.ListOpts{Name: "go", Tags: []string{"go"}}).AllPages(ctx))))
	expect("found by name and tag", len(found) == 1 && found[0].ID == lb.ID, true)
	listener := must(listeners.ExtractListeners(must(listeners.List(client, listeners.ListOpts{LoadbalancerID: lb.ID}).AllPages(ctx))))[0]
	pool := must(pools.ExtractPools(must(pools.List(client, pools.ListOpts{LoadbalancerID: lb.ID}).AllPages(ctx))))[0]
	expect("the pool's listener", pool.Listeners[0].ID, listener.ID)

	limit := 500
	must(listeners.Update(ctx, client, listener.ID, listeners.UpdateOpts{ConnLimit: &limit}).Extract())
	settled(client, lb.ID)
	batch := []pools.BatchUpdateMemberOpts{{Address: subnet.GatewayIP, ProtocolPort: 9002}, {Address: subnet.GatewayIP, ProtocolPort: 9003}}
	check(pools.BatchUpdateMembers(ctx, client, pool.ID, batch).ExtractErr())
	settled(client, lb.ID)
	expect("members", len(must(pools.ExtractMembers(must(pools.ListMembers(client, pool.ID, nil).AllPages(ctx))))), 2)
	policy := must(l7policies.Create(ctx, client, l7policies.CreateOpts{ListenerID: listener.ID, Action: l7policies.ActionReject}).Extract())
	settled(client, lb.ID)
	must(l7policies.CreateRule(ctx, client, policy.ID, l7policies.CreateRuleOpts{RuleType: l7policies.TypePath, CompareType: l7policies.CompareTypeEqual, Value: "/x"}).Extract())
	settled(client, lb.ID)
	statuses := must(loadbalancers.GetStatuses(ctx, client, lb.ID).Extract())
	expect("the tree's members", len(statuses.Loadbalancer.Listeners[0].Pools[0].Members), 2)
	rules := must(l7policies.ExtractRules(must(l7policies.ListRules(client, policy.ID, l7policies.ListRulesOpts{}).AllPages(ctx))))
	expect("rules", len(rules), 1)
	must(loadbalancers.GetStats(ctx, client, lb.ID).Extract())

	address := must(floatingips.Create(ctx, network, floatingips.CreateOpts{FloatingNetworkID: external.ID, PortID: lb.VipPortID}).Extract())
	expect("the fixed address", address.FixedIP, lb.VipAddress)
	check(floatingips.Delete(ctx, network, address.ID).ExtractErr())

	check(loadbalancers.Delete(ctx, client, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr())
	for range 300 {
		if _, err := loadbalancers.Get(ctx, client, lb.ID).Extract(); gophercloud.ResponseCodeIs(err, 404) {
			fmt.Println("gophercloud did all of it")
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	panic("the load balancer is not gone")
}
