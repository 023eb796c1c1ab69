/** `datagram-echo.ts ADDRESS PORT`: sends every datagram back. Prints a line when it listens; ends with its standard input. */
import { createSocket } from 'node:dgram';

const [address, port] = process.argv.slice(2);
const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
socket.bind(Number(port), address, () => console.log('listens'));
process.stdin.on('close', () => process.exit()).resume();
