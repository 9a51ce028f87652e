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
  if (check === 'foreign') return skip(`${file} was made by another version of the program, or not finished`);
  return {
    tell: (page) => check.tell(page),
    compareIn: (report, { isWhole }) => {
      if (isWhole) compare(check, report);
      else report.skipped(['I11'], 'the log is damaged');
    },
    close: () => check.close(),
  };
}

function compare(check: ViewsCheck, report: Report): void {
  const { events, isAhead, differences } = check.compare();
  report.looked(['I11'], `views of ${events} events`);
  if (isAhead) report.breach({ invariant: 'I11', words: 'the views show events that the log does not hold' });
  for (const { table, row, only } of differences)
    report.breach({ invariant: 'I11', words: `only the ${only} table ${table} has the row ${row}` });
}
