export { conversionPaths } from './conversion-paths.js'
export type { LogWriter } from './log-writer.js'
export { createJobLog, createRunOutput, type RunOutput, toAudience } from './run-output.js'
export {
  createWorkspaceKeeper,
  DEFAULT_KEEP,
  type WorkspaceKeeper,
  type WorkspaceKeeperOptions,
  type WorkspaceOwner,
} from './workspace-keeper.js'
export { type WorkspacePaths, workspacePaths } from './workspace-paths.js'
