/** Files of rules: read at the start, followed while the program runs, refused when they cannot be used. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Caller } from '../../src/cloud/identity.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config, Overrides } from '../../src/config/table.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { openPolicy } from '../../src/main/policy-files.ts';
import { StartRefused } from '../../src/main/state.ts';
import { until } from '../support/octavia.ts';

const guest: Caller = {
  user_id: 'u',
  user_name: null,
  project_id: 'p',
  domain_id: null,
  roles: ['guest'],
  is_admin: false,
  system_scope: false,
};

async function place(t: TestContext): Promise<{ dir: string; config: (options?: Overrides['oslo_policy']) => Config }> {
  const dir = await mkdtemp(join(tmpdir(), 'policy-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return {
    dir,
    config: (options = {}) => loadConfig({ env: {}, files: [], overrides: { local: { state_dir: dir }, oslo_policy: options } }),
  };
}

test('rules count from the file, from folders after it, and anew when a file changes', async (t) => {
  const { dir, config } = await place(t);
  await mkdir(join(dir, 'policy.d'));
  await writeFile(join(dir, 'policy.yaml'), '"load-balancer:read": "role:guest"\n"load-balancer:write": "role:guest"\n');
  await writeFile(join(dir, 'policy.d', '10-writers.yaml'), '"load-balancer:write": "!"\n');
  const live = openPolicy(config(), '', systemClock, silentLogger);
  t.after(() => live.stop());
  const may = (action: string): boolean => live.current().allows(guest, 'pool', action, 'q');
  assert.deepEqual([may('get_one'), may('put')], [true, false]);
  await writeFile(join(dir, 'new'), '"load-balancer:read": "role:nobody"\n');
  await rename(join(dir, 'new'), join(dir, 'policy.yaml'));
  await until(() => !may('get_one'), 'the changed rule counts');
  // What cannot be used changes nothing; what can be used afterwards does.
  await writeFile(join(dir, 'policy.yaml'), '"load-balancer:read": "role:guest and"\n');
  await writeFile(join(dir, 'policy.d', '20-more.yaml'), '"load-balancer:read": "role:guest"\n');
  await until(async () => {
    await writeFile(join(dir, 'policy.yaml'), '');
    return may('get_one');
  }, 'the repaired rules count');
});

test('rules that cannot be used stop the start with one sentence that names the file', async (t) => {
  const { dir, config } = await place(t);
  const refused = (sentence: RegExp, options?: Overrides['oslo_policy']) =>
    assert.throws(
      () => openPolicy(config(options), '', systemClock, silentLogger),
      (error) => error instanceof StartRefused && sentence.test(error.message) && !error.message.includes('\n'),
    );
  refused(/rules\.yaml cannot be read \(ENOENT/u, { policy_file: 'rules.yaml' });
  await writeFile(join(dir, 'policy.yaml'), '"a": [');
  refused(/policy\.yaml cannot be read/u);
  await writeFile(join(dir, 'policy.yaml'), '- a\n');
  refused(/does not hold names with rules/u);
  await writeFile(join(dir, 'policy.yaml'), '"load-balancer:read": "role:a or"\n');
  refused(/policy\.yaml: The rule "load-balancer:read" has its end where a check must stand/u);
  await writeFile(join(dir, 'policy.yaml'), '"load-balancer:read":\n');
  refused(/write "@" for everybody/u);
  // A JSON file is a YAML file; an absolute name needs no folder.
  await writeFile(join(dir, 'rules.json'), '{"load-balancer:read": [["role:guest"]]}');
  const live = openPolicy(config({ policy_file: join(dir, 'rules.json') }), '', systemClock, silentLogger);
  live.stop();
  assert.equal(live.current().allows(guest, 'pool', 'get_one', 'q'), true);
});
