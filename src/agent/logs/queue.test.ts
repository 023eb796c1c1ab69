import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineQueue } from './queue.ts';

const lines = (...texts: readonly string[]) => ({ bytes: Buffer.from(texts.map((text) => `${text}\n`).join('')), count: texts.length });
const textOf = (taken: ReturnType<LineQueue['take']>): string | undefined => taken?.bytes.toString();

void test('lines come out in their order, several portions at once as far as they fit', () => {
  const queue = new LineQueue(10);
  for (const text of ['a', 'b', 'c']) queue.push(lines(text, text));
  assert.equal(queue.count, 6);
  assert.deepEqual([textOf(queue.take(8)), textOf(queue.take(1)), queue.take(1)], ['a\na\nb\nb\n', 'c\nc\n', undefined]);
  assert.equal(queue.count, 0);
});

void test('the newest that find no room are dropped and counted, the first of a portion stay', () => {
  const queue = new LineQueue(3);
  queue.push(lines('a', 'b'));
  queue.push(lines('c', 'd', 'e'));
  queue.push(lines('f'));
  assert.deepEqual([queue.dropped, queue.count, textOf(queue.take(100))], [3, 3, 'a\nb\nc\n']);
});

void test('what is put back comes first, also when there is no room', () => {
  const queue = new LineQueue(2);
  queue.push(lines('a'));
  const taken = queue.take(100);
  queue.push(lines('b', 'c'));
  assert.ok(taken !== undefined);
  queue.putBack(taken);
  queue.push(lines('d'));
  assert.deepEqual([textOf(queue.take(1)), textOf(queue.take(1)), queue.dropped], ['a\n', 'b\nc\n', 1]);
});

void test('another limit holds for what comes', () => {
  const queue = new LineQueue(5);
  queue.push(lines('a', 'b', 'c'));
  queue.limitTo(1);
  queue.push(lines('d'));
  assert.deepEqual([queue.count, queue.dropped], [3, 1]);
});
