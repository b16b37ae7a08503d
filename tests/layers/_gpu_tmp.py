import sys,time,functools; sys.path.insert(0,'.')
import jax, jax.numpy as jnp, numpy as np, jaxscope as js
from jaxscope import layers
x=jax.random.normal(jax.random.key(0),(4,512,1024),jnp.bfloat16)
def mha(impl,x,**k): return layers.multi_head_attention(x,16,kv_heads=4,rotary=1e4,implementation=impl,**k)
mask=np.arange(512)<np.array([512,100,5,1])[:,None]
bias=np.random.default_rng(0).normal(size=(1,16,1,512)).astype("float32")
for k in ({"mask":mask},{"mask":mask,"causal":True},{"bias":bias.astype(jnp.bfloat16)},{"cache_size":1024}):
    out=[]
    for impl in (None,"cudnn"):
        try:
            net=js.transform(functools.partial(mha,impl,**k)); v=net.init(jax.random.key(1),x)
            y,s=jax.jit(net.apply_with_state)(v,x); out.append(np.asarray(y,np.float32))
            if k.get("cache_size"):
                y,s=jax.jit(net.apply_with_state)(v|s,x[:,:1]); out[-1]=np.concatenate([out[-1],np.asarray(y,np.float32)],1)
        except Exception as e: print(impl,list(k),'FAIL',type(e).__name__,str(e)[:300])
    if len(out)==2: print(list(k),np.abs(out[0]-out[1]).max(),np.abs(out[0]).max())
xs=x.astype(jnp.float16)
for impl in (None,"cudnn"):
    net=js.transform(functools.partial(mha,impl,causal=True)); print(impl,float(jnp.abs(net.apply(net.init(jax.random.key(1),xs),xs).astype(jnp.float32)).sum()))
