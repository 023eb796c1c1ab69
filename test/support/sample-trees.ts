export * from '../../src/providers/amphora/render/sample-trees.ts';
