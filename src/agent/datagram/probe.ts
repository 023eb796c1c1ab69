/** Probes of members from the traffic namespace. */
import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import type { DatagramMember, DatagramMonitor } from '../../wire/datagram.ts';

/** Asks a member once; false when it is not well. Never throws, and ends within the monitor's time-out. */
export async function probe(monitor: DatagramMonitor, member: DatagramMember): Promise<boolean> {
  const timeout_ms = monitor.timeout * 1000;
  try {
    switch (monitor.type) {
      case 'tcp':
        return await connects(member, timeout_ms);
      case 'http':
        return await answers(monitor, member, timeout_ms);
      case 'udp-connect':
        return await isNotRefused(member, timeout_ms);
      case 'sctp':
        return false;
    }
  } catch {
    // What cannot be asked (a path that is none, no way there) is not well.
    return false;
  }
}

function connects({ monitor_address, monitor_port }: DatagramMember, timeout_ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: monitor_address, port: monitor_port });
    const end = (isWell: boolean): void => {
      socket.destroy();
      resolve(isWell);
    };
    socket.setTimeout(timeout_ms, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function answers(monitor: DatagramMonitor, { monitor_address, monitor_port }: DatagramMember, timeout_ms: number): Promise<boolean> {
  const host = monitor.host ?? (isIPv6(monitor_address) ? `[${monitor_address}]` : monitor_address);
  return new Promise((resolve) => {
    const asked = request({
      host: monitor_address,
      port: monitor_port,
      method: monitor.method,
      path: monitor.path,
      headers: { host, connection: 'close' },
      agent: false,
      signal: AbortSignal.timeout(timeout_ms),
    });
    asked.once('response', ({ statusCode = 0 }) => {
      resolve(monitor.codes.some(([from, to]) => statusCode >= from && statusCode <= to));
      asked.destroy();
    });
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

/** A datagram that nobody takes is refused by ICMP; silence is no refusal (upstream: `nc -uz`). */
function isNotRefused({ monitor_address, monitor_port }: DatagramMember, timeout_ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(monitor_address) ? 'udp6' : 'udp4');
    const end = (isWell: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      socket.close();
      resolve(isWell);
    };
    const timer = setTimeout(() => end(true), timeout_ms);
    socket.once('error', () => end(false));
    // By its event: a callback would be called with the error, too, when there is no way to the member.
    socket.once('connect', () => socket.send(''));
    socket.connect(monitor_port, monitor_address);
  });
}
