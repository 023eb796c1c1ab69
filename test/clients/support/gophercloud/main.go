// What gophercloud, and with it Terraform and the Kubernetes controllers, does with load balancers: a tree in one call, found by name,
// each piece made, changed and removed by itself, its members replaced in one call, a floating IP, what an operator offers and looks after,
// and all removed. Usage: client AUTH_URL PASSWORD-OF-DEMO PASSWORD-OF-ADMIN
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/amphorae"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/apiversions"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/flavorprofiles"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/l7policies"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/providers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/quotas"
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

func services(user, password string) (client, network *gophercloud.ServiceClient) {
	options := gophercloud.AuthOptions{IdentityEndpoint: os.Args[1], Username: user, Password: password, TenantName: user,
		DomainName: "Default", AllowReauth: true}
	provider := must(openstack.AuthenticatedClient(ctx, options))
	endpoint := gophercloud.EndpointOpts{Region: "RegionOne"}
	return must(openstack.NewLoadBalancerV2(provider, endpoint)), must(openstack.NewNetworkV2(provider, endpoint))
}

func main() {
	client, network := services("demo", os.Args[2])
	operator, _ := services("admin", os.Args[3])
	versions := must(apiversions.ExtractAPIVersions(must(apiversions.List(client).AllPages(ctx))))
	expect("the newest version", versions[len(versions)-1].Status, "CURRENT")

	subnet := must(subnets.ExtractSubnets(must(subnets.List(network, subnets.ListOpts{Name: "private-subnet"}).AllPages(ctx))))[0]
	external := must(networks.ExtractNetworks(must(networks.List(network, networks.ListOpts{Name: "public"}).AllPages(ctx))))[0]
	expect("providers", len(must(providers.ExtractProviders(must(providers.List(client, nil).AllPages(ctx))))) > 0, true)

	port, weight := 9001, 3
	member := pools.CreateMemberOpts{Name: "one", Address: subnet.GatewayIP, ProtocolPort: port, Weight: &weight}
	flavor, profile := offer(operator)
	tree := loadbalancers.CreateOpts{Name: "go", VipSubnetID: subnet.ID, FlavorID: flavor, Tags: []string{"go"}, Listeners: []listeners.CreateOpts{{
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
	pieces(client, lb, listener, pool, subnet.GatewayIP)
	must(loadbalancers.GetStats(ctx, client, lb.ID).Extract())

	address := must(floatingips.Create(ctx, network, floatingips.CreateOpts{FloatingNetworkID: external.ID, PortID: lb.VipPortID}).Extract())
	expect("the fixed address", address.FixedIP, lb.VipAddress)
	check(floatingips.Delete(ctx, network, address.ID).ExtractErr())

	lookAfter(client, operator, lb)
	check(loadbalancers.Delete(ctx, client, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr())
	for range 300 {
		if _, err := loadbalancers.Get(ctx, client, lb.ID).Extract(); gophercloud.ResponseCodeIs(err, 404) {
			check(flavors.Delete(ctx, operator, flavor).ExtractErr())
			check(flavorprofiles.Delete(ctx, operator, profile).ExtractErr())
			fmt.Println("gophercloud did all of it")
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	panic("the load balancer is not gone")
}

// pieces makes, finds, changes and removes each kind of object by itself.
func pieces(client *gophercloud.ServiceClient, lb *loadbalancers.LoadBalancer, listener listeners.Listener, pool pools.Pool, address string) {
	description := "changed"
	must(loadbalancers.Update(ctx, client, lb.ID, loadbalancers.UpdateOpts{Description: &description}).Extract())
	expect("the description", settled(client, lb.ID).Description, description)

	tcp := must(listeners.Create(ctx, client, listeners.CreateOpts{LoadbalancerID: lb.ID, Protocol: listeners.ProtocolTCP, ProtocolPort: 81}).Extract())
	settled(client, lb.ID)
	expect("the listener's port", must(listeners.Get(ctx, client, tcp.ID).Extract()).ProtocolPort, 81)
	must(listeners.GetStats(ctx, client, tcp.ID).Extract())
	spare := must(pools.Create(ctx, client, pools.CreateOpts{LoadbalancerID: lb.ID, Name: "spare", Protocol: pools.ProtocolTCP,
		LBMethod: pools.LBMethodSourceIp}).Extract())
	settled(client, lb.ID)
	must(pools.Update(ctx, client, spare.ID, pools.UpdateOpts{LBMethod: pools.LBMethodLeastConnections}).Extract())
	settled(client, lb.ID)
	expect("the algorithm", must(pools.Get(ctx, client, spare.ID).Extract()).LBMethod, "LEAST_CONNECTIONS")
	member := must(pools.CreateMember(ctx, client, spare.ID, pools.CreateMemberOpts{Address: address, ProtocolPort: 9004}).Extract())
	settled(client, lb.ID)
	weight := 7
	must(pools.UpdateMember(ctx, client, spare.ID, member.ID, pools.UpdateMemberOpts{Weight: &weight}).Extract())
	settled(client, lb.ID)
	expect("the weight", must(pools.GetMember(ctx, client, spare.ID, member.ID).Extract()).Weight, weight)
	monitor := must(monitors.Create(ctx, client, monitors.CreateOpts{PoolID: spare.ID, Type: monitors.TypeTCP, Delay: 3, Timeout: 2, MaxRetries: 2}).Extract())
	settled(client, lb.ID)
	must(monitors.Update(ctx, client, monitor.ID, monitors.UpdateOpts{MaxRetries: 4}).Extract())
	settled(client, lb.ID)
	expect("the retries", must(monitors.Get(ctx, client, monitor.ID).Extract()).MaxRetries, 4)
	expect("monitors", len(must(monitors.ExtractMonitors(must(monitors.List(client, monitors.ListOpts{PoolID: spare.ID}).AllPages(ctx))))), 1)

	policy := must(l7policies.Create(ctx, client, l7policies.CreateOpts{ListenerID: listener.ID, Action: l7policies.ActionReject}).Extract())
	settled(client, lb.ID)
	rule := must(l7policies.CreateRule(ctx, client, policy.ID, l7policies.CreateRuleOpts{RuleType: l7policies.TypePath,
		CompareType: l7policies.CompareTypeEqual, Value: "/x"}).Extract())
	settled(client, lb.ID)
	statuses := must(loadbalancers.GetStatuses(ctx, client, lb.ID).Extract())
	for _, each := range statuses.Loadbalancer.Listeners {
		if each.ID == listener.ID {
			expect("the tree's members", len(each.Pools[0].Members), 2)
		}
	}
	must(l7policies.UpdateRule(ctx, client, policy.ID, rule.ID, l7policies.UpdateRuleOpts{Value: "/y"}).Extract())
	settled(client, lb.ID)
	expect("the rule's value", must(l7policies.GetRule(ctx, client, policy.ID, rule.ID).Extract()).Value, "/y")
	rules := must(l7policies.ExtractRules(must(l7policies.ListRules(client, policy.ID, l7policies.ListRulesOpts{}).AllPages(ctx))))
	expect("rules", len(rules), 1)
	must(l7policies.Update(ctx, client, policy.ID, l7policies.UpdateOpts{Description: &description}).Extract())
	settled(client, lb.ID)
	expect("the policy", must(l7policies.Get(ctx, client, policy.ID).Extract()).Description, description)
	listed := must(l7policies.ExtractL7Policies(must(l7policies.List(client, l7policies.ListOpts{ListenerID: listener.ID}).AllPages(ctx))))
	expect("policies", len(listed), 1)

	check(l7policies.DeleteRule(ctx, client, policy.ID, rule.ID).ExtractErr())
	settled(client, lb.ID)
	check(l7policies.Delete(ctx, client, policy.ID).ExtractErr())
	settled(client, lb.ID)
	check(monitors.Delete(ctx, client, monitor.ID).ExtractErr())
	settled(client, lb.ID)
	check(pools.DeleteMember(ctx, client, spare.ID, member.ID).ExtractErr())
	settled(client, lb.ID)
	check(pools.Delete(ctx, client, spare.ID).ExtractErr())
	settled(client, lb.ID)
	check(listeners.Delete(ctx, client, tcp.ID).ExtractErr())
	settled(client, lb.ID)
}

// offer makes a flavor, as an operator does; it answers its id and that of its profile.
func offer(operator *gophercloud.ServiceClient) (flavor, profile string) {
	capabilities := must(providers.ListFlavorCapabilities(ctx, operator, "amphora", nil).Extract())
	expect("capabilities", len(capabilities) > 0, true)
	must(providers.ListAvailabilityZoneCapabilities(ctx, operator, "amphora", nil).Extract())
	single := `{"loadbalancer_topology": "SINGLE"}`
	profile = must(flavorprofiles.Create(ctx, operator, flavorprofiles.CreateOpts{Name: "go", ProviderName: "amphora", FlavorData: single}).Extract()).ID
	must(flavorprofiles.Update(ctx, operator, profile, flavorprofiles.UpdateOpts{Name: "go-single"}).Extract())
	expect("the profile", must(flavorprofiles.Get(ctx, operator, profile).Extract()).Name, "go-single")
	must(flavorprofiles.List(operator, nil).AllPages(ctx))
	flavor = must(flavors.Create(ctx, operator, flavors.CreateOpts{Name: "go", FlavorProfileId: profile, Enabled: true}).Extract()).ID
	must(flavors.Update(ctx, operator, flavor, flavors.UpdateOpts{Description: "one amphora", Enabled: true}).Extract())
	expect("the flavor", must(flavors.Get(ctx, operator, flavor).Extract()).Description, "one amphora")
	must(flavors.List(operator, nil).AllPages(ctx))
	return flavor, profile
}

// lookAfter does what an operator does with a load balancer that serves.
func lookAfter(client, operator *gophercloud.ServiceClient, lb *loadbalancers.LoadBalancer) {
	limit := 7
	must(quotas.Update(ctx, operator, lb.ProjectID, quotas.UpdateOpts{Loadbalancer: &limit}).Extract())
	expect("the quota", must(quotas.Get(ctx, client, lb.ProjectID).Extract()).Loadbalancer, limit)
	check(quotas.Delete(ctx, operator, lb.ProjectID).ExtractErr())
	of := amphorae.ListOpts{LoadbalancerID: lb.ID}
	listed := must(amphorae.ExtractAmphorae(must(amphorae.List(operator, of).AllPages(ctx))))
	expect("amphorae", len(listed), 1)
	expect("its role", must(amphorae.Get(ctx, operator, listed[0].ID).Extract()).Role, "STANDALONE")
	check(amphorae.Failover(ctx, operator, listed[0].ID).ExtractErr())
	settled(client, lb.ID)
	check(loadbalancers.Failover(ctx, operator, lb.ID).ExtractErr())
	settled(client, lb.ID)
}
