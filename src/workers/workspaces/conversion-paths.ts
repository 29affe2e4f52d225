import { join } from 'node:path'
import { safePathSegment } from '../../base/index.js'
import type { ConversionOrder } from '../../queue/index.js'

/** Where a conversion lies on a host: one folder each, so that several of one model do not meet. */
export function conversionPaths(dataFolder: string, { organization, project }: ConversionOrder, id: string) {
  const project_ = join(dataFolder, safePathSegment(organization), safePathSegment(project))
  const workspace = join(project_, 'conversions', safePathSegment(id))
  return { workspace, logFile: join(workspace, 'conversion.log') }
}
