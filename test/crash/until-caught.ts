/** Plays histories until one goes wrong: exit code 1, at once. For the mutation run. */
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { playHistory } from './history.ts';

const db = openDatabase({ url: 'sqlite::memory:' });
await migrate(db);
for (let seed = 1; seed <= Number(process.argv[2]); seed += 1) {
  const { problems } = await playHistory(db, { seed });
  if (problems.length > 0) process.exit(1);
}
process.exit(0);
