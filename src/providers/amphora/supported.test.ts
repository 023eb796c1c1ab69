import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  samplePolicy,
  samplePool,
  sampleTree,
} from '../../../test/support/sample-trees.ts';
import type { LoadBalancerTree } from '../../model/index.ts';
import { checkSupported } from './supported.ts';

const isRefused = (tree: LoadBalancerTree, change: Parameters<typeof checkSupported>[2]): string => {
  try {
    checkSupported('amphora', tree, change);
    return '';
  } catch (error) {
    assert.equal((error as { status: number }).status, 501);
    return (error as Error).message;
  }
};

test('algorithms and policies that amphorae do not have are refused', () => {
  const pools = [samplePool({ lb_algorithm: 'SOURCE_IP_PORT' })];
  assert.match(isRefused(sampleTree({ pools }), { action: 'update', owner: { type: 'pool', id: sampleId('pool') } }), /SOURCE_IP_PORT/u);
  const listeners = [sampleListener({ protocol: 'TCP', l7policies: [samplePolicy()] })];
  const owner = { type: 'l7policy', id: sampleId('l7policy') } as const;
  assert.match(isRefused(sampleTree({ listeners }), { action: 'create', owner }), /^Provider 'amphora' does not support .*: TCP protocol/u);
  assert.equal(isRefused(sampleTree({ listeners }), { action: 'update', owner }), '');
});

test('members of UDP and SCTP need a VIP of their kind of address', () => {
  const vip = { subnet_id: sampleId('loadbalancer'), ip_address: '2001:db8::10', port_id: null, network_id: null };
  const treeOf = (
    address: string,
    { protocol = 'UDP' as 'UDP' | 'SCTP' | 'TCP', isDual = false, status = 'PENDING_CREATE' as 'PENDING_CREATE' | 'ACTIVE' } = {},
  ) =>
    sampleTree({
      loadbalancer: sampleLoadBalancer({ additional_vips: isDual ? [vip] : [] }),
      listeners: [sampleListener({ protocol })],
      pools: [samplePool({ protocol, members: [sampleMember(1), sampleMember(2, { address, provisioning_status: status })] })],
    });
  const create = { action: 'create', owner: { type: 'member', id: sampleId('member', 2) } } as const;
  const batch = { action: 'update', owner: { type: 'pool', id: sampleId('pool') } } as const;
  for (const change of [create, batch]) {
    assert.match(isRefused(treeOf('2001:db8::1'), change), /mixing IPv4 and IPv6 .* in UDP load balancers\.$/u);
    assert.match(isRefused(treeOf('2001:db8::1', { protocol: 'SCTP' }), change), /in SCTP load balancers/u);
    assert.equal(isRefused(treeOf('2001:db8::1', { isDual: true }), change), '', 'a VIP of both');
    assert.equal(isRefused(treeOf('2001:db8::1', { protocol: 'TCP' }), change), '', 'HAProxy speaks both');
    assert.equal(isRefused(treeOf('2001:db8::1', { status: 'ACTIVE' }), change), '', 'it was there before');
    assert.equal(isRefused(treeOf('192.0.2.1'), change), '');
  }
});
