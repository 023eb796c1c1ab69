import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NewestHeard } from './order.ts';

const beat = (seq: number, boot_id?: string, id = 'a') => ({ id, seq, boot_id });

describe('the order of heartbeats', () => {
  it('takes each heartbeat of a boot once and none that was overtaken', () => {
    const heard = new NewestHeard(1000);
    assert.deepEqual(
      [1, 2, 2, 1, 5, 3, 6].map((seq) => heard.accept(beat(seq, 'x'), 0)),
      [true, true, false, false, true, false, true],
    );
  });

  it('takes a new boot from its first number on, and nothing more of the former ones', () => {
    const heard = new NewestHeard(1000);
    const answers = [beat(90, 'x'), beat(0, 'y'), beat(91, 'x'), beat(1, 'y'), beat(0, 'z'), beat(2, 'y')].map((each) =>
      heard.accept(each, 0),
    );
    assert.deepEqual(answers, [true, true, false, true, true, false]);
  });

  it('takes everything of agents that do not name their boot', () => {
    const heard = new NewestHeard(1000);
    assert.deepEqual(
      [5, 5, 1].map((seq) => heard.accept(beat(seq), 0)),
      [true, true, true],
    );
    assert.equal(heard.size, 0);
  });

  it('forgets amphorae that were silent for long', () => {
    const heard = new NewestHeard(1000);
    heard.accept(beat(1, 'x', 'a'), 0);
    heard.accept(beat(1, 'x', 'b'), 900);
    heard.accept(beat(2, 'x', 'b'), 1500);
    assert.equal(heard.size, 1);
  });
});
