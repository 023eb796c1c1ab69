/** Requests to a VIP, drawn on the terminal: one mark for each, one line a second. */
import { get } from 'node:http';

const colours: Readonly<Record<string, string>> = { blue: '\u001b[34m', green: '\u001b[32m', failed: '\u001b[31m' };
const marks: Readonly<Record<string, string>> = { blue: 'B', green: 'G', failed: 'x' };

/** Sends about 20 requests a second, each on a connection of its own, and shows who answered. */
export async function showTraffic(vip_address: string, seconds: number, what: string): Promise<void> {
  process.stdout.write(`\n  ${what}   (B blue, G green, x failed)\n`);
  for (let second = 1; second <= seconds; second += 1) {
    const counts = new Map<string, number>();
    process.stdout.write(`  ${String(second).padStart(2)} s  `);
    const begun = performance.now();
    for (let request = 0; request < 20; request += 1) {
      const answer = await ask(vip_address);
      counts.set(answer, (counts.get(answer) ?? 0) + 1);
      process.stdout.write(coloured(answer));
      const next = begun + (request + 1) * 50;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    }
    process.stdout.write(`   ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}\n`);
  }
}

const coloured = (answer: string): string => {
  const mark = marks[answer] ?? '?';
  return process.stdout.isTTY ? `${colours[answer] ?? ''}${mark}\u001b[0m` : mark;
};

/** Who answered; `failed` for no answer within a second, or one that is not 200. */
function ask(vip_address: string): Promise<string> {
  return new Promise((resolve) => {
    const host = vip_address.includes(':') ? `[${vip_address}]` : vip_address;
    const request = get(`http://${host}/`, { agent: false, timeout: 1000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(response.statusCode === 200 ? text : 'failed'));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve('failed'));
  });
}
