import type { LineageNode } from '#views';
import type { Lineage, PlannedWork, ShownPlan } from './answers.ts';
import { type CommandRequest, route } from './api.ts';
import { allPages } from './pages.ts';
import type { Screen } from './screen.ts';
import type { Session } from './session.ts';
import { facts } from './table.ts';
import { drawTree } from './tree.ts';

export interface PlanOptions {
  /** Only say what would be done. */
  readonly dryRun?: boolean;
  /** The hash of a plan that was said before. */
  readonly plan?: string;
}

/** Asks what a command would do, and shows it; nothing is done. */
export async function showPlan(session: Session, vmId: string, request: CommandRequest): Promise<void> {
  const query = { ...request.query, validateOnly: 'true' };
  const answer = await session.api.command<PlannedWork>({ ...request, query }, 'plan');
  const before = session.isJson ? [] : await nodesOf(session, vmId);
  await session.show(answer, ({ plan }) => draw(plan, before, session.screen));
}

async function nodesOf({ api }: Session, vmId: string): Promise<readonly LineageNode[]> {
  return (await allPages<Lineage>(api, route('vms', vmId, 'lineage'), 'nodes')).body.nodes;
}

function draw(plan: ShownPlan, before: readonly LineageNode[], screen: Screen): string {
  const { commands, filesCreated, filesUnlinked, snapshotsDiscarded, tree, treeSize } = plan;
  const nameOf = (id: string): string => before.find((node) => node.id === id)?.name ?? 'a safety pin';
  const left = treeSize - tree.length;
  return [
    facts([
      ['plan', screen.text(plan.hash)],
      ['machine', stopsIn(plan)],
      ['copied', `${plan.bytes} bytes`],
    ]),
    section(screen, 'does', commands),
    section(screen, 'creates', filesCreated),
    section(screen, 'unlinks', filesUnlinked),
    section(
      screen,
      'discards',
      snapshotsDiscarded.map((id) => `${nameOf(id)} (${id})`),
    ),
    treeSection(screen, 'before', before),
    treeSection(screen, 'after', tree),
    ...(left > 0 ? [`and ${left} more\n`] : []),
    `\nNothing was done. To do just this, or nothing: the same command with --plan ${screen.text(plan.hash)}\n`,
  ].join('');
}

function stopsIn({ stops }: ShownPlan): string {
  return stops.machine ? `stands still for about ${stops.estimatedMs} ms` : 'is not made to stand still';
}

function section({ text, paint }: Screen, title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `\n${paint('bold', title)}\n${lines.map((line) => `  ${text(line)}\n`).join('')}`;
}

const treeSection = (screen: Screen, title: string, nodes: readonly LineageNode[]): string =>
  `\n${screen.paint('bold', title)}\n${nodes.length === 0 ? '  no snapshot\n' : drawTree({ nodes }, screen)}`;
