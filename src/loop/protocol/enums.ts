/** The two generations of the protocol: releases up to 0.11 (`0.8`) and from 0.12 on (`current`). */
export const dialects = ['0.8', 'current'] as const
export type Dialect = (typeof dialects)[number]

/** What a category marks in an image; the Loop may know more types, so a category's type is any text. */
export const categoryTypes = ['box', 'point', 'segmentation', 'classification'] as const
export type CategoryType = (typeof categoryTypes)[number]

/** Lists an image passes through while people label it; also the values of the query `state`. */
export const imageStates = ['inbox', 'annotate', 'review', 'complete'] as const
export type ImageState = (typeof imageStates)[number]

/** What an image serves for in a training. */
/** `val` comes from newer Loops, which set images aside for validation; nodes count them as training images. */
export const imageSets = ['train', 'test', 'val'] as const
export type ImageSet = (typeof imageSets)[number]

/** Value of the socket header `nodeType`. */
export const nodeTypes = ['trainer', 'annotation_node', 'detector', 'converter', 'node'] as const
export type NodeType = (typeof nodeTypes)[number]

/** Condition of a node that is no trainer. */
export const nodeStates = [
  'idle',
  'offline',
  'online',
  'preparing',
  'running',
  'stopping',
  'detecting',
  'uploading',
] as const
export type NodeState = (typeof nodeStates)[number]

/** Detector: model updates happen in `idle` and are held back in `detecting`. */
export const operationModes = ['startup', 'idle', 'detecting'] as const
export type OperationMode = (typeof operationModes)[number]

/** Detector: which model version it wants (current dialect). */
export const versionModes = ['follow_loop', 'specific_version', 'pause'] as const
export type VersionMode = (typeof versionModes)[number]

/** Detector: whether the outbox sends (current dialect). */
export const outboxModes = ['continuous_upload', 'stopped'] as const
export type OutboxMode = (typeof outboxModes)[number]

/** Detector: what is kept of a detected image for the Loop. */
export const autouploads = ['filtered', 'all', 'disabled'] as const
export type Autoupload = (typeof autouploads)[number]

/** Mouse and keyboard events of the Loop's image editor; others may come and are let through. */
export const annotationEventTypes = [
  'left_mouse_down',
  'right_mouse_down',
  'mouse_move',
  'left_mouse_up',
  'right_mouse_up',
  'key_up',
  'key_down',
] as const
export type AnnotationEventType = (typeof annotationEventTypes)[number]
