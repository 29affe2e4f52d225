import type { ConversionRecord } from '../../queue/index.js'
import type { WorkspaceOwner } from '../workspaces/index.js'

/** What was converted or aborted does not need its folder any more. */
export function folderOwnerOf(record: ConversionRecord | undefined): WorkspaceOwner | undefined {
  if (record === undefined) return undefined
  switch (record.state) {
    case 'waiting':
    case 'running':
      return { endedAt: null, outcome: null }
    case 'failed':
      return { endedAt: record.endedAt, outcome: 'failed' }
    case 'converted':
    case 'aborted':
      return { endedAt: record.endedAt, outcome: 'aborted' }
    default:
      return record.state satisfies never
  }
}
