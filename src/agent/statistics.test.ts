import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addSample, beatOf, parseSample, settle, statusesOf } from './statistics.ts';
import type { Ledger, Sample } from './statistics.ts';

const header = 'pxname,svname,qcur,scur,slim,stot,bin,bout,ereq,status,weight,';
const answer = (rows: readonly string[]): string => `Name: HAProxy\nPid: 77\n\n# ${header}\n${rows.join('\n')}\n\n`;

void test('rows of frontends, backends and servers become listeners, pools and members', () => {
  const text = answer([
    'l1,FRONTEND,,3,10,20,100,200,1,OPEN,,',
    'l2,FRONTEND,,10,10,20,100,200,0,OPEN,,',
    'prometheus-exporter,FRONTEND,,1,10,1,1,1,0,OPEN,,',
    '<HTTPCLIENT>,FRONTEND,,0,0,0,0,0,0,OPEN,,',
    'p:l1,m1,0,0,,5,1,1,,UP,1,',
    'p:l1,m2,0,0,,5,1,1,,UP,0,',
    'p:l1,m3,0,0,,5,1,1,,DOWN 1/2,1,',
    'p:l1,m4,0,0,,5,1,1,,no check,1,',
    'p:l1,BACKEND,0,0,10,5,1,1,,UP,2,',
    'q:l1,BACKEND,0,0,10,5,1,1,,DOWN,0,',
  ]);
  assert.deepEqual(parseSample(text), {
    pid: 77,
    listeners: {
      l1: { status: 'OPEN', stats: { tx: 200, rx: 100, conns: 3, totconns: 20, ereq: 1 } },
      l2: { status: 'FULL', stats: { tx: 200, rx: 100, conns: 10, totconns: 20, ereq: 0 } },
    },
    pools: {
      'p:l1': { status: 'UP', members: { m1: 'UP', m2: 'DRAIN', m3: 'DOWN 1/2', m4: 'no check' } },
      'q:l1': { status: 'DOWN', members: {} },
    },
  });
  assert.throws(() => parseSample('Unknown command'));
});

const sampleOf = (pid: number, totconns: number): Sample => ({
  pid,
  listeners: { l: { status: 'OPEN', stats: { tx: totconns * 10, rx: totconns, conns: 1, totconns, ereq: 0 } } },
  pools: {},
});

void test('the sum of what heartbeats tell is what all workers have counted, whenever they were replaced', () => {
  const steps = fc.array(fc.record({ more: fc.nat(50), isNewWorker: fc.boolean(), isBeat: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(steps, (history) => {
      let [ledger, pid, seen, all, told]: [Ledger, number, number, number, number] = [{}, 1, 0, 0, 0];
      for (const { more, isNewWorker, isBeat } of history) {
        if (isNewWorker) [pid, seen] = [pid + 1, 0];
        seen += more;
        all += more;
        ledger = addSample(ledger, sampleOf(pid, seen));
        if (!isBeat) continue;
        told += beatOf(sampleOf(pid, seen), ledger).listeners['l']?.stats.totconns ?? 0;
        ledger = settle(ledger);
      }
      assert.equal(told + (ledger['l']?.added.totconns ?? 0), all);
    }),
  );
});

void test('counters are no change of status, a listener that is full is one', () => {
  assert.equal(statusesOf(sampleOf(1, 1)), statusesOf(sampleOf(2, 500)));
  const full: Sample = { ...sampleOf(1, 1), listeners: { l: { status: 'FULL', stats: { tx: 0, rx: 0, conns: 0, totconns: 0, ereq: 0 } } } };
  assert.notEqual(statusesOf(full), statusesOf(sampleOf(1, 1)));
  assert.deepEqual(beatOf(undefined, {}), { listeners: {}, pools: {} });
});
