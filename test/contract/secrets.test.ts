import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeSecrets } from '../../src/cloud/fake/secrets.ts';
import { createCertificateFiles } from '../../src/cloud/local/certificate-files.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type CertificatePieces, secretsContract } from './secrets-contract.ts';

const controller = { by: 'controller', project_id: 'project' } as const;

secretsContract('fake secrets', async () => {
  const secrets = new FakeSecrets();
  const put = (ref: string, { key, ...pieces }: CertificatePieces): string => {
    secrets.putCertificate(ref, { ...pieces, key: new Secret(key) });
    return ref;
  };
  const putPayload = async (payload: Buffer | string): Promise<string> => {
    const ref = randomUUID();
    secrets.putPayload(ref, payload);
    return ref;
  };
  return {
    secrets,
    reader: controller,
    putPieces: async (pieces) => put(randomUUID(), pieces),
    putPayload,
    putText: putPayload,
    remove: async (ref) => secrets.remove(ref),
    replacePieces: async (ref, pieces) => void put(ref, pieces),
    breakDown: async () => void (secrets.isDown = true),
    consumersOf: async (ref) => [...secrets.uses].filter(([, refs]) => refs.includes(ref)).map(([id]) => id),
  };
});

secretsContract('certificate files', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'octavia-certificates-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const put = async (ref: string, { certificate, key, intermediates, passphrase }: CertificatePieces): Promise<string> => {
    for (const ending of ['crt', 'key', 'int', 'pass']) await rm(join(folder, `${ref}.${ending}`), { force: true });
    await writeFile(join(folder, `${ref}.crt`), certificate);
    await writeFile(join(folder, `${ref}.key`), key);
    if (intermediates !== undefined) await writeFile(join(folder, `${ref}.int`), intermediates);
    if (passphrase !== undefined) await writeFile(join(folder, `${ref}.pass`), passphrase);
    return ref;
  };
  return {
    secrets: createCertificateFiles(folder),
    reader: controller,
    putPieces: (pieces) => put(randomUUID(), pieces),
    putPayload: null,
    putText: async (text) => {
      const ref = randomUUID();
      await writeFile(join(folder, `${ref}.crt`), text);
      return ref;
    },
    remove: (ref) => rm(join(folder, `${ref}.crt`)),
    replacePieces: async (ref, pieces) => void (await put(ref, pieces)),
    breakDown: null,
    consumersOf: null,
  };
});
