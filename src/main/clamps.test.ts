import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleAmphora, sampleId, sampleListener, sampleTree } from '../../test/support/sample-trees.ts';
import { recordingLogger } from '../lib/log.ts';
import { clampTeller } from './clamps.ts';

void test('limits that an amphora cannot have are told once, and again when they change', () => {
  const { log, lines } = recordingLogger();
  const tell = clampTeller(log);
  const asking = (connection_limit: number) => sampleTree({ listeners: [sampleListener({ connection_limit })] });
  for (const limit of [-1, 500]) tell(asking(limit), sampleAmphora(), 1000);
  tell(asking(5000), sampleAmphora(), null);
  assert.equal(lines.length, 0);
  tell(asking(5000), sampleAmphora(), 1000);
  tell(asking(5000), sampleAmphora(), 1000);
  assert.equal(lines.length, 1);
  assert.deepEqual([lines[0]?.['maxconn_limit'], lines[0]?.['listeners']], [1000, [{ id: sampleId('listener'), connection_limit: 5000 }]]);
  tell(asking(500), sampleAmphora(), 1000);
  tell(asking(5000), sampleAmphora(), 1000);
  assert.equal(lines.length, 2);
});
