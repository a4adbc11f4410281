"""Short Chinese news briefs with headlines, generated from templates. All names and figures are made up.

A brief starts with an empty phrase and states its facts in random order. One or two more sentences have nothing to do with the
facts, and often name another place, team or company. The headline gives the facts in another order and in other words, so the
first characters of the brief are a poor headline.

Each topic has two leading slots, such as city and weather. A checksum of their values assigns a brief to a split, so the splits
have no combination in common.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from paddle_ft.data.samples import split_by_checksum, words

SIZES = {"train": 4000, "validation": 200, "test": 200}
MIN_LENGTH = 40  # characters of a brief


@dataclass(frozen=True)
class Form:
    """One way to report a topic: the headline, and the sentences with its facts, in any order."""

    headline: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """A topic with its templates.

    Attributes:
        leading: the two slots whose values decide the split.
        slots: slot -> possible values.
        forms: ways to report the topic.
        asides: sentences that have nothing to do with the facts.
    """

    leading: tuple[str, str]
    slots: dict[str, list[str]]
    forms: tuple[Form, ...]
    asides: tuple[str, ...]


CITIES = words(
    "北京 上海 广州 深圳 天津 重庆 成都 武汉 西安 南京 杭州 苏州 青岛 大连 厦门 宁波 长沙 郑州 济南 沈阳 "
    "合肥 福州 昆明 贵阳 南宁 海口 兰州 银川 西宁 太原 石家庄 哈尔滨 长春 南昌 拉萨 无锡 温州 烟台 洛阳 桂林"
)
TEAMS = words(
    "海狮队 飞虎队 雄鹰队 猎豹队 雷霆队 青龙队 白鲸队 火箭队 银狼队 金雕队 蓝鲨队 红牛队 黑马队 山猫队 麒麟队 "
    "凤凰队 骆驼队 灰熊队 赤狐队 羚羊队 朱雀队 玄武队 苍鹭队 战斧队 铁锚队 星辰队 潮汐队 磐石队 旋风队 烈焰队"
)
COMPANIES = words(
    "远帆科技 恒岳钢铁 云杉软件 金穗食品 海潮航运 华岭汽车 星野通信 绿洲能源 启明医药 长桥建设 银杏银行 天梭纺织 "
    "晨曦电子 木棉家居 北斗物流 飞瀑水务 赤峰矿业 玉兰日化 蓝鲸旅游 松涛纸业 火石电池 雪莲乳业 古镇酒业 麦田零售 "
    "白塔水泥 卓越教育 风铃玩具 磁石传媒 橙子游戏 百川石化"
)
ROADS = words(
    "环城高速 滨江大道 解放路 人民大道 机场高速 中山路 长虹大桥 跨海大桥 地铁一号线 地铁二号线 地铁三号线 地铁五号线 "
    "北站隧道 东湖隧道 建设路 和平路 科技大道 绕城公路 南站广场 文化路 新港码头 西山索道 青年路 学府路 有轨电车 "
    "迎宾大道 平安路 沿河路 凤凰大桥 体育场路"
)
EXHIBITIONS = words(
    "青铜器展 水墨画展 古船展 丝绸展 恐龙化石展 瓷器展 皮影戏 油画展 玉器展 昆虫展 航天展 木偶戏 摄影展 书法展 剪纸展 "
    "邮票展 古琴音乐会 话剧《归途》 舞剧《春江》 京剧《长坡》 老照片展 机器人展 漆器展 年画展 古籍展 服饰展 雕塑展 "
    "相声专场 民歌大会 动漫展"
)
INSTITUTES = words(
    "中原大学 东海大学 北山大学 江南大学 滨海研究院 高原研究所 星河实验室 长江大学 西部农科院 南岭植物园 天文台 "
    "地质研究所 海洋研究所 材料研究院 空间中心 华东医院 仁济医院 岭南大学 草原研究站 极地中心"
)
FINDINGS = words(
    "新型电池材料 一种深海鱼 早期恐龙足迹 抗旱水稻 一颗矮行星 低温超导体 可降解塑料 古人类牙齿 高产小麦 一种抗菌肽 "
    "地下暗河 远古花粉 人工光合膜 新型疫苗 柔性芯片 一种萤火虫 耐盐大豆 冰下湖泊 智能假肢 陨石坑 量子存储器 "
    "一种蓝色兰花 高温合金 古代造船厂 节能涂料 水下机器人 一种长寿菌 海底火山 无人收割机 微型卫星"
)
CROPS = words("苹果 柑橘 茶叶 小麦 水稻 玉米 大豆 棉花 葡萄 草莓 西瓜 辣椒 土豆 花生 枸杞 蜂蜜 香菇 莲藕 荔枝 核桃")
COUNTIES = words(
    "青溪县 白河县 云岭县 石桥县 柳林县 平湖县 金沙县 双塔县 竹山县 清泉县 龙湾县 凤台县 红岩县 枫林县 松江县 沙洲县 "
    "梅山县 桃源县 临江县 望湖县 黑水县 北川镇 东坪镇 南浦镇 西岭镇 古渡镇 长岛镇 麻城镇 小河镇 大洼镇"
)
PERCENTS = [f"{number}%" for number in (3, 5, 6, 8, 9, 12, 15, 18, 20, 24, 25, 30, 32, 36, 40, 45, 50, 60)]

TOPICS = {
    "weather": Topic(
        ("city", "event"),
        {
            "city": CITIES,
            "other": CITIES,
            "event": words("暴雨 大雪 大风 冰雹 大雾 高温 寒潮 雷暴 台风 沙尘 冻雨 霜冻 雾霾 强降温 洪水 干旱"),
            "outcome": words(
                "中小学停课 多趟列车停运 部分航班取消 景区全部关闭 渡轮停航 工地停工 早市推迟 公交改道 供暖提前 "
                "运动会延期 户外演出取消 菜价上涨 供电紧张 水库开闸 公园闭园 快递延误"
            ),
            "level": words("蓝色 黄色 橙色 红色"),
        },
        (
            Form("{event}袭击{city}，{outcome}", ("{city}今天清晨出现{event}", "当地通知说，{outcome}，恢复时间待定")),
            Form("{city}发布{event}{level}预警", ("气象部门预计{event}将持续两天", "{city}已将预警级别升为{level}")),
        ),
        ("相邻的{other}则天气晴好", "专家提醒市民减少外出", "去年此时{other}也曾如此", "市民可拨打热线了解详情"),
    ),
    "sport": Topic(
        ("winner", "loser"),
        {
            "winner": TEAMS,
            "loser": TEAMS,
            "other": TEAMS,
            "score": words("1比0 2比0 2比1 3比0 3比1 3比2 4比1 4比2"),
            "reward": words("升至榜首 夺得冠军 晋级决赛 闯入四强 成功保级 取得三连胜 取得五连胜 终结连败 小组出线 锁定前三"),
        },
        (
            Form("{winner}{score}胜{loser}，{reward}", ("{loser}在主场以{score}告负", "赢得比赛的{winner}由此{reward}")),
            Form(
                "{winner}加时{score}淘汰{loser}",
                ("{winner}在加时赛中打入一球", "{loser}止步本届杯赛，比分为{score}"),
            ),
        ),
        ("另一场比赛{other}轮空", "现场有三万名观众", "下一轮的对手将是{other}", "两队此前交手互有胜负"),
    ),
    "finance": Topic(
        ("company", "measure"),
        {
            "company": COMPANIES,
            "other": COMPANIES,
            "measure": words("营收 净利润 订单量 出口额 销量 毛利率 研发投入 现金流 用户数 产能 市值 库存"),
            "percent": PERCENTS,
            "period": words("上半年 一季度 三季度 全年 上月 本季度"),
        },
        (
            Form(
                "{company}{period}{measure}增长{percent}",
                ("{company}公布了{period}的业绩报告", "{measure}比上年同期多{percent}"),
            ),
            Form(
                "{company}{measure}下滑{percent}，股价下跌",
                ("{measure}比上年同期少{percent}", "{company}的股价随后走低"),
            ),
        ),
        ("同行业的{other}尚未公布数据", "分析人士认为前景平稳", "此前{other}曾大幅裁员", "公司将于下周召开股东会"),
    ),
    "traffic": Topic(
        ("city", "road"),
        {
            "city": CITIES,
            "other": CITIES,
            "road": ROADS,
            "span": words("三天 五天 一周 十天 两周 半个月 一个月 两个月 三个月 半年"),
            "saving": words("五分钟 十分钟 一刻钟 二十分钟 半小时 四十分钟 一小时"),
        },
        (
            Form("{city}{road}封闭施工{span}", ("因地下管线改造，{road}将禁止通行", "{city}交管部门称，工期为{span}")),
            Form("{city}{road}通车，节省{saving}", ("{road}于今天清晨正式启用", "{city}市民上班路上可少花{saving}")),
        ),
        ("途经车辆请按标志行驶", "同类工程在{other}已完成", "工程由{other}一家公司承建", "沿线居民对此表示欢迎"),
    ),
    "culture": Topic(
        ("city", "show"),
        {
            "city": CITIES,
            "other": CITIES,
            "show": EXHIBITIONS,
            "price": words("免费开放 学生半价 凭证入场 预约入场 老人免票 周末加场 夜间开放 一票难求"),
            "place": words("博物馆 大剧院 美术馆 文化宫 图书馆 体育馆 艺术中心 展览馆"),
        },
        (
            Form("{show}亮相{city}{place}", ("{show}今天起与观众见面", "地点设在{city}的{place}，为期一个月")),
            Form("{city}迎来{show}，{price}", ("{show}将于周五拉开帷幕", "{city}的主办方向观众宣布{price}")),
        ),
        ("下一站将前往{other}", "筹备工作历时三年", "首站{other}的反响热烈", "许多家长带着孩子前来"),
    ),
    "science": Topic(
        ("institute", "finding"),
        {
            "institute": INSTITUTES,
            "other": INSTITUTES,
            "finding": FINDINGS,
            "years": words("两年 三年 四年 五年 六年 八年 十年 十二年"),
            "use": words("明年量产 有望治病 可供教学 已获专利 将送入太空 可降成本 改写教科书 将公开数据"),
        },
        (
            Form(
                "{institute}{years}攻关{finding}获成功",
                ("关于{finding}的难题得到解决", "{institute}团队为此工作了{years}"),
            ),
            Form("{finding}研究有进展，{use}", ("{institute}介绍了{finding}方面的工作", "研究人员说，成果{use}")),
        ),
        ("{other}没有参与这项工作", "论文已在期刊上发表", "{other}的同行给予好评", "经费来自国家基金"),
    ),
    "farming": Topic(
        ("county", "crop"),
        {
            "county": COUNTIES,
            "other": COUNTIES,
            "crop": CROPS,
            "percent": PERCENTS,
            "channel": words("网上热销 出口海外 进入超市 滞销 价格翻番 直供学校 供不应求 获评名优"),
        },
        (
            Form(
                "{county}{crop}增产{percent}，农户增收",
                ("今年{crop}的产量高出往年{percent}", "{county}的农户收入随之提高"),
            ),
            Form("{county}{crop}丰收，{channel}", ("收获时节，{crop}在市场上{channel}", "{county}的合作社正忙着装车")),
        ),
        ("邻近的{other}以养殖为主", "技术员常到田间指导", "种苗来自{other}", "当地还计划修建冷库"),
    ),
    "schools": Topic(
        ("city", "measure"),
        {
            "city": CITIES,
            "other": CITIES,
            "measure": words(
                "课后托管 游泳课 食堂开放日 免费校车 编程课 心理辅导 午休躺睡 戏曲课 劳动课 急救培训 电子课本 弹性上学 "
                "家长课堂 近视筛查 暑期夏令营 校园足球"
            ),
            "start": words("下周 下月 九月 十月 明年 春季 秋季 年底"),
            "count": words("十所 二十所 三十所 五十所 八十所 百所 两百所"),
        },
        (
            Form(
                "{city}{count}学校{start}推行{measure}",
                ("{measure}将从{start}起开展", "{city}首批有{count}学校参加"),
            ),
            Form(
                "{city}叫停{measure}，{start}起执行",
                ("教育部门认为{measure}的效果不佳", "{city}的决定自{start}起生效"),
            ),
        ),
        ("{other}的做法与此不同", "教师们正在接受培训", "相关经验曾在{other}介绍", "费用由财政承担"),
    ),
}
OPENINGS = ("本报讯", "记者今天获悉", "据最新消息", "昨天下午的发布会传来消息", "记者从有关方面了解到", "据本台报道")


def rows(split: str, seed: int = 2022) -> list[dict[str, str]]:
    """Return the rows {"source": brief, "target": headline} of a split. No brief occurs twice."""
    return [{"source": source, "target": target} for source, target, _ in generate(split, seed)]


def generate(split: str, seed: int = 2022) -> list[tuple[str, str, tuple[str, str, str]]]:
    """Return (brief, headline, (topic, first leading slot, second leading slot)) for each row of a split."""
    rng = random.Random(f"{seed} {split}")
    by_brief: dict[str, tuple[str, str, tuple[str, str, str]]] = {}
    while len(by_brief) < SIZES[split]:
        name = rng.choice(list(TOPICS))
        values, key = _draw_values(name, TOPICS[name], split, rng)
        source, target = _write_brief(TOPICS[name], values, rng)
        if len(source) >= MIN_LENGTH:
            by_brief.setdefault(source, (source, target, key))
    return list(by_brief.values())


def _draw_values(name: str, topic: Topic, split: str, rng: random.Random) -> tuple[dict[str, str], tuple[str, str, str]]:
    """Draw values for all slots. Their leading values belong to the split, and no value is used in two slots."""
    while True:
        values = {slot: rng.choice(choices) for slot, choices in topic.slots.items()}
        key = (name, values[topic.leading[0]], values[topic.leading[1]])
        if len(set(values.values())) == len(values) and split_by_checksum("|".join(key)) == split:
            return values, key


def _write_brief(topic: Topic, values: dict[str, str], rng: random.Random) -> tuple[str, str]:
    """Return a brief and its headline."""
    form = rng.choice(topic.forms)
    sentences = list(form.facts)
    rng.shuffle(sentences)
    for aside in rng.sample(topic.asides, rng.choice((1, 2))):
        sentences.insert(rng.randrange(len(sentences) + 1), aside)
    text = rng.choice(OPENINGS) + "，" + "。".join(sentences) + "。"
    return text.format(**values), form.headline.format(**values)
