import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceLimits } from './cgroups.ts';
import { limitsOfFlavor, refusalOfWish } from './local-flavor.ts';

const defaults: InstanceLimits = { memory_bytes: 512 * 2 ** 20, cpu_percent: null, pids: 256 };

test('a flavor of this machine sets what it names and leaves the rest as configured', () => {
  assert.equal(limitsOfFlavor(null, defaults), defaults);
  assert.equal(limitsOfFlavor('', defaults), defaults);
  assert.deepEqual(limitsOfFlavor('cpu=1.5', defaults), { ...defaults, cpu_percent: 150 });
  assert.deepEqual(limitsOfFlavor('memory=1024, processes=64', defaults), { memory_bytes: 2 ** 30, cpu_percent: null, pids: 64 });
  assert.deepEqual(limitsOfFlavor('cpu=2,memory=0,processes=0', defaults), { memory_bytes: null, cpu_percent: 200, pids: null });
});

test('what is no flavor of this machine, or too little to run in, is none', () => {
  const wrong = [
    'm1.small',
    'cpu',
    'cpu=',
    'cpu=-1',
    'cpu=1e9',
    'cpu=1,cpu=2',
    'memory=1',
    'processes=3',
    'cpu=1;memory=64',
    'constructor=1',
    ',',
  ];
  for (const text of wrong) assert.equal(limitsOfFlavor(text, defaults), null, text);
});

test('a machine says what it cannot be', () => {
  const refusal = (wish: Parameters<typeof refusalOfWish>[0]): string | null => refusalOfWish(wish, defaults, 'mgmt');
  assert.equal(refusal({}), null);
  assert.equal(
    refusal({
      compute_flavor: 'cpu=1',
      image_tag: null,
      availability_zone: 'local',
      volume_zone: null,
      network_ids: ['mgmt'],
      vnic_type: 'normal',
    }),
    null,
  );
  assert.match(refusal({ compute_flavor: 'm1.small' }) ?? '', /form cpu=/u);
  assert.match(refusal({ image_tag: 'amphora' }) ?? '', /images/u);
  assert.match(refusal({ availability_zone: 'nova' }) ?? '', /one zone, named local/u);
  assert.match(refusal({ volume_zone: 'nova' }) ?? '', /volumes/u);
  assert.match(refusal({ vnic_type: 'direct' }) ?? '', /SR-IOV/u);
  assert.match(refusal({ network_ids: ['mgmt', 'other'] }) ?? '', /Network other cannot be the management network: .* mgmt/u);
});
