/** `npm run access-matrix`: prints who may do what, as expected and as measured; ends with 1 when they differ. */
import { measure, tableOf } from './matrix.ts';

const endings: (() => unknown)[] = [];
try {
  const matrix = await measure({ after: (work) => void endings.push(work as () => unknown) });
  console.log(tableOf(matrix));
  process.exitCode = matrix.cells.every((cell) => cell.isRight) ? 0 : 1;
} finally {
  for (const end of endings.toReversed()) await end();
}
