import { type StoredEvent } from '#event-store';
import type { ViewsCheck } from '#views';
import type { World } from '#world';
import type { Audited } from './log.ts';
import type { Report } from './report.ts';

/** Views that are to be held beside the log. */
export interface OpenedViews {
  tell(page: readonly StoredEvent[]): void;
  compareIn(report: Report, audited: Pick<Audited, 'isWhole'>): void;
  close(): void;
}

/** Null when there is nothing that could be compared, and why stands in the report. */
export async function openViewsCheck(
  { files }: Pick<World, 'files'>,
  file: string,
  report: Report,
): Promise<OpenedViews | null> {
  const skip = (why: string): null => {
    report.skipped(['I11'], why);
    return null;
  };
  if (!(await files.stat(file))) return skip(`there is no ${file}; ledgerd builds it when it starts`);
  const { ViewsCheck } = await import('#views');
  const check = ViewsCheck.open(file);
  if (check === 'in-use') return skip(`${file} is in use: stop ledgerd first`);
  if (check === 'damaged') {
    report.breach({ invariant: 'I11', words: damaged(file) });
    return null;
  }
  if (check === 'foreign') return skip(`${file} was made by another version of the program, or not finished`);
  return {
    tell: (page) => check.tell(page),
    compareIn: (report, { isWhole }) => {
      if (isWhole) compare(check, file, report);
      else report.skipped(['I11'], 'the log is damaged');
    },
    close: () => check.close(),
  };
}

const damaged = (file: string): string => `${file} is damaged; ledgerd builds it anew when it starts`;

function compare(check: ViewsCheck, file: string, report: Report): void {
  const { events, isAhead, isDamaged, differences } = check.compare();
  report.looked(['I11'], `views of ${events} events`);
  if (isDamaged) report.breach({ invariant: 'I11', words: damaged(file) });
  if (isAhead) report.breach({ invariant: 'I11', words: 'the views show events that the log does not hold' });
  for (const { table, row, only } of differences)
    report.breach({ invariant: 'I11', words: `only the ${only} table ${table} has the row ${row}` });
}
