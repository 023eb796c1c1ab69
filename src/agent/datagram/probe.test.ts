import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { DatagramMember, DatagramMonitor } from '../../wire/datagram.ts';
import { probe } from './probe.ts';

const monitor = (type: DatagramMonitor['type'], change: Partial<DatagramMonitor> = {}): DatagramMonitor => ({
  id: 'monitor',
  type,
  delay: 1,
  timeout: 0.3,
  rise: 1,
  fall: 1,
  method: 'GET',
  path: '/',
  codes: [[200, 299]],
  host: null,
  ...change,
});

const at = (monitor_address: string, monitor_port: number): DatagramMember => ({
  id: 'member',
  mark: 1,
  address: monitor_address,
  port: monitor_port,
  weight: 1,
  admin_state_up: true,
  monitor_address,
  monitor_port,
});

test('UDP: a port that nobody has is refused, one that is silent is well, and without a way there it is not', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  assert.equal(await probe(monitor('udp-connect'), at('127.0.0.1', port)), true);
  socket.close();
  await once(socket, 'close');
  assert.equal(await probe(monitor('udp-connect'), at('127.0.0.1', port)), false);
  // A broadcast address cannot be connected to: the error comes before anything is sent.
  assert.equal(await probe(monitor('udp-connect'), at('255.255.255.255', port)), false);
  t.diagnostic('refused, silent and unreachable were told apart');
});

test('HTTP and TCP: the code counts, and so does the time', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/slow') return;
    response.writeHead(request.url === '/bad' ? 500 : 204).end();
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const member = at('127.0.0.1', (server.address() as AddressInfo).port);
  assert.equal(await probe(monitor('http'), member), true);
  assert.equal(await probe(monitor('http', { path: '/bad' }), member), false);
  assert.equal(await probe(monitor('http', { path: '/slow' }), member), false);
  assert.equal(await probe(monitor('http', { path: '/ä ö' }), member), false, 'a path that cannot be sent');
  assert.equal(await probe(monitor('tcp'), member), true);
  assert.equal(await probe(monitor('tcp'), at('127.0.0.1', 1)), false);
});
