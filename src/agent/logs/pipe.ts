/** The pipe that HAProxy writes the lines of connections to: HAProxy and the init hold it open, so nothing is lost while the agent is away. */
import { constants, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';

const READ_BYTES = 64 * 1024;
/** Between two readings: HAProxy, which then finds the reader asleep anyway, wakes it two hundred times a second and not for each request. */
const PAUSE_MS = 5;

/** Is there such a pipe? Without it HAProxy must not be told to write to it. */
export async function isPipe(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFIFO() ?? false;
}

/**
 * Reads a pipe until it is closed; `take` gets a buffer that is used again afterwards. Throws what opening throws.
 *
 * Reading it by a timer alone was tried: it costs the same under load and wakes an idle agent fifty times a second.
 */
export function readPipe(path: string, take: (bytes: Buffer) => void): { readonly close: () => void } {
  // For writing, too: a pipe whose last writer goes would end.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let timer: NodeJS.Timeout | undefined;
  const callback = (length: number): boolean => {
    take(buffer.subarray(0, length));
    // A full buffer: more waits. Else there is time until the pipe has some.
    if (length === READ_BYTES) return true;
    timer = setTimeout(() => socket.resume(), PAUSE_MS);
    return false;
  };
  const socket = new Socket({ fd, readable: true, writable: false, onread: { buffer, callback } } as ConstructorParameters<
    typeof Socket
  >[0]);
  socket.on('error', () => undefined);
  return {
    close: () => {
      clearTimeout(timer);
      socket.destroy();
    },
  };
}
