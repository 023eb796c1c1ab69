/** The certificates of `test/fixtures/tls`: an ECDSA and an RSA leaf below root → above → issuer, in all the forms that people store. */
import { readFileSync } from 'node:fs';

/** A file of the folder as bytes. */
export const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));

/** A file of the folder as text. */
export const fixtureText = (name: string): string => fixture(name).toString('latin1');

/** The chain above the leaves as PEM, in the order that servers must not show it. */
export const chainUpsideDown = (): string => fixtureText('above.crt') + fixtureText('issuer.crt');
