/** Events from nodes to the Loop, with the time in which an ack must come. */
export const nodeEventAckMs = {
  update_trainer: 30_000,
  update_training: 60_000,
  update_detector: 60_000,
  update_annotation_node: 10_000,
  update_segmentation_annotation: 30_000,
} as const
export type NodeEvent = keyof typeof nodeEventAckMs

/** Events from the Loop to nodes. */
export const loopEvents = [
  'begin_training',
  'stop_training',
  'abort_training',
  'restart',
  'handle_user_input',
  'user_logout',
] as const
export type LoopEvent = (typeof loopEvents)[number]
