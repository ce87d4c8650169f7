def require(): pass
def prepare(*a): raise NotImplementedError
def run(*a): raise NotImplementedError
