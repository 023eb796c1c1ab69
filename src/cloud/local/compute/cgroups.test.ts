import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findHierarchies } from './cgroups.ts';

test('split version 1 hierarchies are found one by one, others are passed over', () => {
  const text = [
    '34 33 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct',
    '35 33 0:31 / /sys/fs/cgroup/devices rw,relatime shared:9 - cgroup cgroup rw,devices',
    '36 33 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
    '37 33 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    '22 1 0:20 / /proc rw - proc proc rw',
  ].join('\n');
  assert.deepEqual(
    findHierarchies(text, () => 'hugetlb\n'),
    [
      { path: '/sys/fs/cgroup/cpu', version: 1, controllers: ['cpu'] },
      { path: '/sys/fs/cgroup/pids', version: 1, controllers: ['pids'] },
    ],
  );
});

test('one version 2 hierarchy has them all', () => {
  const text = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
  assert.deepEqual(
    findHierarchies(text, () => 'cpuset cpu io memory hugetlb pids rdma\n'),
    [{ path: '/sys/fs/cgroup', version: 2, controllers: ['cpu', 'memory', 'pids'] }],
  );
});

test('a machine without cgroups has none', () => {
  assert.deepEqual(
    findHierarchies('', () => null),
    [],
  );
});
