/** Certificates of a running worker, exchanged by commands. */
import { CommandRefused } from './refused.ts';
import { MAX_COMMAND_BYTES } from './session.ts';
import type { Session } from './session.ts';
import type { Step } from './steps.ts';
import { commandWord } from './words.ts';

/** Reads a file with secrets. */
export type ReadSecret = (path: string) => Promise<string>;

type TlsStep = Extract<Step, { do: 'certificate' | 'entry' | 'forget' }>;

/** Carries out one step; answers how many commands it took. Throws `CommandRefused`, and what reading throws. */
export async function changeTls(session: Session, step: TlsStep, readSecret: ReadSecret): Promise<number> {
  if (step.do === 'certificate') return exchange(session, step, await readSecret(step.source));
  const path = commandWord(step.path);
  // What is gone, or there, already is right: the change was broken off before.
  if (step.do === 'forget') return give(session, `del ssl cert ${path}`, /deleted!$|doesn't exist!$/u);
  const entry = `ssl crt-list ${commandWord(step.list)} ${path}`;
  if (step.change === 'add') return give(session, `add ${entry}`, /Success!$|already exists/u);
  return give(session, `del ${entry}`, /deleted|can't be found|does not exist/u);
}

/** The worker goes on with the old content until `commit`, which exchanges all at once; what is begun and refused would be in the way of all others. */
async function exchange(session: Session, step: Extract<TlsStep, { do: 'certificate' }>, content: string): Promise<number> {
  const path = commandWord(step.path);
  // A payload ends at the first empty line.
  const payload = content.replaceAll(/\n{2,}/gu, '\n').trim();
  if (Buffer.byteLength(payload) > MAX_COMMAND_BYTES) throw new CommandRefused('set ssl', 'the certificate is too long for a command');
  const made = step.is_new ? await give(session, `new ssl cert ${path}`, /^New empty|already exists!$/u) : 0;
  try {
    await give(session, `set ssl cert ${path} <<\n${payload}\n`, /^transaction (?:created|updated)/iu);
    return made + 1 + (await give(session, `commit ssl cert ${path}`, /Success!$/u));
  } catch (error) {
    if (error instanceof CommandRefused) await session.ask(`abort ssl cert ${path}`);
    throw error;
  }
}

async function give(session: Session, command: string, expected: RegExp): Promise<1> {
  const answer = await session.ask(command);
  if (!expected.test(answer)) throw new CommandRefused(command, answer);
  return 1;
}
