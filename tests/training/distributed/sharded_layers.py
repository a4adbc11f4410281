"""Measure memory and gradients of stage3 on a BERT of six layers, of two processes, of which rank 1 has no batch."""

import paddle

from paddle_ft.training.distributed.sharded_layers import ShardedLayers
from tests.support.paddle_private import allocated_cpu_bytes

SIZES = {"vocab_size": 20, "hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 256,
         "max_position_embeddings": 8, "num_labels": 2}  # fmt: skip


def backward(model):
    paddle.seed(5)
    model(paddle.to_tensor([[3, 4, 5, 6]])).square().sum().backward()


def measure_layers(world):
    from paddlenlp.transformers import BertConfig, BertForSequenceClassification

    paddle.seed(3)
    model, plain = (BertForSequenceClassification(BertConfig(**SIZES)) for _ in range(2))
    plain.set_state_dict(model.state_dict())
    model.train()
    plain.train()
    backward(plain)
    bytes_before_sharding = allocated_cpu_bytes()
    before = [p.numpy().tobytes() for p in model.parameters()]
    shards = ShardedLayers(world, model)
    shards.before_step()
    foreign = [p for layer in shards.layers for p in layer if shards.owner_of[p.name] != world.rank]
    result = {"freed": bytes_before_sharding - allocated_cpu_bytes(), "foreign": sum(p.size for p in foreign) * 4,
              "layer": sum(p.size for p in shards.layers[0]) * 4}  # fmt: skip

    base, allocated = allocated_cpu_bytes(), []
    receive = shards._receive_weights

    def receive_and_measure(number):
        receive(number)
        allocated.append(allocated_cpu_bytes() - base)

    shards._receive_weights = receive_and_measure
    for _ in range(2):
        if world.rank == 0:
            backward(model)
        shards.after_backward()
    shards._receive_weights = receive
    result["allocated"] = allocated
    shards.reduce_gradients()
    plain_gradients = {p.name: q.grad for p, q in zip(model.parameters(), plain.parameters(), strict=True)}
    result["same_gradients"] = all(bool((p.grad == 2 * plain_gradients[p.name]).all()) for p in shards.owned)
    result["foreign_gradients"] = sum(p.grad is not None for p in foreign)
    result["still_allocated"] = allocated_cpu_bytes() - base - sum(p.size for p in shards.owned) * 4
    shards.gather_weights()
    result["same_weights"] = [p.numpy().tobytes() for p in model.parameters()] == before
    return result
